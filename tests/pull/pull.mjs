// pull.mjs BANTAM RANDOM_FAMILY FOLDER: `bantam pull`, `ls` and `rm` against a registry in another process that cuts
// connections, lies and changes its mind.
import assert from "node:assert/strict";
import {execFileSync, spawn, spawnSync} from "node:child_process";
import {createHash} from "node:crypto";
import {existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync, statSync} from "node:fs";
import {dirname, join} from "node:path";
import {fileURLToPath} from "node:url";

const [bantam, randomFamily, folder] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
rmSync(folder, {recursive: true, force: true});
mkdirSync(folder, {recursive: true});
const at = (name) => join(folder, name);
if (spawnSync("openssl", ["version"]).status !== 0) {
  console.log("skipped: there is no openssl to make certificates with");
  process.exit(77);
}
execFileSync(randomFamily, ["llama", at("model.gguf")]);
const model = readFileSync(at("model.gguf"));
const hash = createHash("sha256").update(model).digest("hex");
execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=test",
  "-addext", "subjectAltName=DNS:localhost,DNS:registry.test", "-keyout", at("key.pem"), "-out", at("cert.pem")], {stdio: "ignore"});

const server = spawn(process.execPath, [join(here, "registry.mjs"), at("cert.pem"), at("key.pem"), at("model.gguf")], {stdio: ["ignore", "pipe", "inherit"]});
const ports = await new Promise((resolve) => {
  let text = "";
  server.stdout.setEncoding("utf8").on("data", (piece) => { if ((text += piece).includes("\n")) resolve(JSON.parse(text)); });
});
const registry = `https://localhost:${ports.registry}`;
const log = async () => (await fetch(`http://127.0.0.1:${ports.control}/log`)).json();

const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(BANTAM_|.*_proxy$)/i.test(name)));
const base = {...clean, XDG_CONFIG_HOME: at("no-config"), BANTAM_STORE: at("store"), BANTAM_REGISTRY: registry, BANTAM_CA_FILE: at("cert.pem")};
// Not spawnSync: this process must go on where it serves nothing, and a hang must end.
function run(args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(bantam, args, {env: {...base, ...env}, stdio: ["ignore", "pipe", "pipe"], timeout: 60_000});
    const out = {child, stdout: "", stderr: ""};
    child.stdout.setEncoding("utf8").on("data", (text) => (out.stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (out.stderr += text));
    child.on("close", (code, signal) => resolve({...out, code, signal}));
  });
}
const kept = (name, file = `${name}-Q8_0.gguf`) => at(`store/faults/${name}/${file}`);
const pull = (name, args = [], env = {}) => run(["pull", `faults/${name}`, "--json", ...args], env);

async function good(name, args = [], env = {}, file = undefined) {
  const result = await pull(name, args, env);
  assert.equal(result.code, 0, `${name}: ${result.stderr}`);
  assert.ok(readFileSync(kept(name, file)).equals(model), `${name}: other bytes`);
  assert.deepEqual(readdirSync(dirname(kept(name, file))).filter((f) => f.includes("partial")), [], name);
  return {...JSON.parse(result.stdout), stderr: result.stderr};
}
async function bad(name, message, args = [], env = {}) {
  const result = await pull(name, args, env);
  assert.equal(result.code, 1, `${name}: ${result.stdout}${result.stderr}`);
  assert.match(result.stderr, message, name);
  assert.ok(!existsSync(kept(name)), `${name}: a file is there`);
  return result;
}
const nothingLeft = (name) => assert.ok(!existsSync(at(`store/faults/${name}`)), `${name}: something is left`);

const tests = {
  async plain() {
    const report = await good("plain:q8_0".split(":")[0]);
    assert.equal(report.files[0].sha256, hash);
    assert.equal(report.files[0].verified_by, "the registry");
    assert.equal(report.name, "faults/plain:q8_0");
    const again = await good("plain");
    assert.ok(again.files[0].unchanged);
    await log();
  },
  async "names of the store are models"() {
    for (const name of ["faults/plain", "faults/plain:q8_0", "faults/plain:Q8_0", "faults/plain:plain-Q8_0.gguf"]) {
      const shown = await run(["show", name, "--json"]);
      assert.equal(shown.code, 0, shown.stderr);
      assert.equal(JSON.parse(shown.stdout).path, kept("plain"));
    }
    assert.equal((await run(["run", "faults/plain:q8_0", "hello", "--max-tokens", "2"])).code, 0);
    const missing = await run(["show", "faults/nowhere:q8_0"]);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /faults\/nowhere:q8_0: found no such model in the store/);
  },
  async "broken connections are continued"() {
    const report = await good("cut");
    const ranges = (await log()).map((r) => r.range).filter(Boolean);
    assert.ok(ranges.length >= 3, "it did not continue");
    assert.equal(report.files[0].sha256, hash);
  },
  async "a killed pull is continued, a second one waits for none"() {
    const running = spawn(bantam, ["pull", "faults/slow"], {env: base, stdio: "ignore"});
    const ended = new Promise((resolve) => running.on("close", (code, signal) => resolve(signal)));
    const partial = at("store/faults/slow/.slow-Q8_0.gguf.partial");
    while (!existsSync(partial) || statSync(partial).size < 500_000) await new Promise((r) => setTimeout(r, 10));
    const second = await run(["pull", "faults/slow"]);
    assert.match(second.stderr, /another process/);
    assert.match((await run(["rm", "faults/slow", "--all"])).stderr, /being|fetching/);
    const listed = JSON.parse((await run(["ls", "--json"])).stdout).interrupted;
    assert.equal(listed[0].name, "faults/slow:slow-Q8_0.gguf");
    assert.equal(listed[0].of, model.length);
    running.kill("SIGKILL");
    assert.equal(await ended, "SIGKILL");
    const size = statSync(partial).size;
    await log();
    const report = await good("slow");
    assert.ok(report.files[0].resumed_at >= 500_000);
    assert.equal((await log()).find((r) => r.range)?.range, `bytes=${size}-`);
  },
  async "Ctrl-C keeps what is there"() {
    rmSync(at("store/faults/slow"), {recursive: true});
    const child = spawn(bantam, ["pull", "faults/slow"], {env: base, stdio: ["ignore", "ignore", "pipe"]});
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text) => (said += text));
    const partial = at("store/faults/slow/.slow-Q8_0.gguf.partial");
    while (!existsSync(partial) || statSync(partial).size < 200_000) await new Promise((r) => setTimeout(r, 10));
    child.kill("SIGINT");
    assert.equal(await new Promise((r) => child.on("close", r)), 130);
    assert.match(said, /the same command goes on/);
    const removed = JSON.parse((await run(["rm", "--interrupted", "--json"])).stdout);
    assert.equal(removed.removed.length, 1);
    assert.ok(removed.bytes >= 200_000);
    nothingLeft("slow");
  },
  async "a damaged prefix is found out and fetched again"() {
    mkdirSync(at("store/faults/plain2"), {recursive: true});
    const state = {url: `${registry}/faults/plain2/resolve/0123456789abcdef0123456789abcdef01234567/plain2-Q8_0.gguf`, validator: "", sha256: hash,
      bytes: model.length, synced: 300_000, boot: ""};
    const damaged = Buffer.from(model.subarray(0, 300_000));
    damaged[200_000] ^= 4;
    writeFileSync(at("store/faults/plain2/.plain2-Q8_0.gguf.partial"), damaged);
    writeFileSync(at("store/faults/plain2/.plain2-Q8_0.gguf.partial.json"), JSON.stringify(state));
    const report = await good("plain2");
    assert.match(report.stderr, /begins anew/);
  },
  async "what was not surely on the disk before a crash is not trusted"() {
    mkdirSync(at("store/faults/plain3"), {recursive: true});
    const state = {url: "", validator: "", sha256: hash, bytes: model.length, synced: 100_000, boot: "another"};
    writeFileSync(at("store/faults/plain3/.plain3-Q8_0.gguf.partial"), Buffer.concat([model.subarray(0, 100_000), Buffer.alloc(70_000)]));
    writeFileSync(at("store/faults/plain3/.plain3-Q8_0.gguf.partial.json"), JSON.stringify(state));
    assert.equal((await good("plain3")).files[0].resumed_at, 100_000);
  },
  async "a server without ranges, one whose file changes, one that sends other parts"() {
    assert.match((await good("norange")).stderr, /whole file again/);
    await good("changed");
    await good("beyond");
    await good("elsewhere");
  },
  async "what is called verified was hashed"() {
    const tamper = (name) => {
      const bytes = Buffer.from(model);
      bytes[bytes.length - 5] ^= 1;  // the same size
      writeFileSync(kept(name), bytes);
    };
    await good("plain8");
    tamper("plain8");
    assert.equal((await good("plain8")).files[0].unchanged, false);
    tamper("plain8");
    assert.equal((await good("plain8", ["--sha256", hash])).files[0].verified_by, "--sha256");
    // A server that says that nothing has changed knows nothing of the file here.
    await good("tagged");
    const again = (await good("tagged")).files[0];
    assert.ok(again.unchanged && again.verified_by === "" && again.sha256 === hash);
    tamper("tagged");
    assert.equal((await good("tagged")).files[0].unchanged, false);
    assert.equal((await good("rehashed")).files[0].verified_by, "the server");
  },
  async "a hash that the server named outlives an interruption"() {
    mkdirSync(at("store/faults/digest2"), {recursive: true});
    const url = `http://127.0.0.1:${ports.plain}/faults/digest2/resolve/main/digest2-Q8_0.gguf`;
    const damaged = Buffer.from(model);
    damaged[200_000] ^= 4;
    const state = {url, query: "", validator: "", sha256: hash, hash_from: "the server", bytes: model.length, synced: model.length, boot: ""};
    writeFileSync(at("store/faults/digest2/.digest2-Q8_0.gguf.partial"), damaged);
    writeFileSync(at("store/faults/digest2/.digest2-Q8_0.gguf.partial.json"), JSON.stringify(state));
    const result = await run(["pull", url, "--json"]);
    assert.equal(result.code, 0, result.stderr);
    assert.ok(readFileSync(kept("digest2")).equals(model));
  },
  async "what is no model takes no model's place"() {
    await good("spoiled");
    const result = await pull("spoiled");
    assert.equal(result.code, 1, result.stdout);
    assert.match(result.stderr, /what was fetched is removed/);
    assert.ok(readFileSync(kept("spoiled")).equals(model), "the good file is gone");
    assert.deepEqual(readdirSync(at("store/faults/spoiled")).filter((f) => f.includes("partial")), []);
    assert.match((await run(["pull", "faults/badshards"])).stderr, /what was fetched is removed/);
    nothingLeft("badshards");
  },
  async "a failed pull cleans up its own folders only"() {
    mkdirSync(at("deep/store"), {recursive: true});
    assert.equal((await run(["pull", "faults/liar", "--store", at("deep/store") + "/"])).code, 1);
    assert.deepEqual(readdirSync(at("deep/store")), []);
  },
  async "secrets of URLs are neither kept nor said"() {
    const plain = `http://127.0.0.1:${ports.plain}/faults/signed/resolve/main/signed-Q8_0.gguf?X-Signature=s3cret`;
    const result = await run(["pull", plain, "--json"]);
    assert.equal(result.code, 0, result.stderr);
    for (const file of readdirSync(at("store/faults/signed")))
      assert.ok(!readFileSync(at(`store/faults/signed/${file}`)).includes("s3cret"), file);
    const source = JSON.parse(readFileSync(at("store/faults/signed/.signed-Q8_0.gguf.source.json"), "utf8"));
    assert.equal(source.url, plain.split("?")[0]);
    // What goes on is the same URL with the same signature; another one may be another file.
    const half = {url: source.url, query: source.query, validator: "", sha256: "", bytes: model.length, synced: 300_000, boot: ""};
    for (const [query, resumed] of [["s3cret", 300_000], ["0ther", 0]]) {
      rmSync(kept("signed"));
      writeFileSync(at("store/faults/signed/.signed-Q8_0.gguf.partial"), model.subarray(0, 300_000));
      writeFileSync(at("store/faults/signed/.signed-Q8_0.gguf.partial.json"), JSON.stringify(half));
      const on = await run(["pull", plain.replace("s3cret", query), "--json"]);
      assert.equal(JSON.parse(on.stdout).files[0].resumed_at, resumed, on.stderr);
    }
    const bad = [plain.replace("/faults/", "/nowhere/"), plain.replace(".gguf?", ".bin?"), plain.replace("http://", "http://me:s3cret@"),
      plain.replace("http://127.0.0.1", "http://registry.test")];
    for (const url of bad) {
      for (const args of [["--retries", "0"], ["--offline"]]) {
        const failed = await run(["pull", url, ...args]);
        assert.equal(failed.code, 1);
        assert.ok(!failed.stderr.includes("s3cret"), failed.stderr);
      }
    }
  },
  async "hashes"() {
    await bad("wronghash", /found SHA-256 .*\(by the registry\)/);
    nothingLeft("wronghash");
    await bad("plain4", /by --sha256|\(--sha256\)/, ["--sha256", "0".repeat(64)]);
    await bad("plain4", /64 hexadecimal/, ["--sha256", "12"]);
    assert.equal((await good("plain4", ["--sha256", hash.toUpperCase()])).files[0].verified_by, "--sha256");
    assert.equal((await good("digest")).files[0].verified_by, "the server");
    await bad("baddigest", /\(by the server\)/);
    const report = await good("nohash");
    assert.match(report.notes[0], new RegExp(`nobody gave a hash.*${hash}`));
  },
  async "sizes that lie"() {
    await bad("liar", /expected the \d+ of the listing/);
    await bad("truncated", /ended after 1000 of/, ["--retries", "0"]);
    await bad("endless", /found more than \d+ bytes/);
    await bad("huge", /--max-size/);
    await bad("plain5", /--max-size/, ["--max-size", "100kb"]);
    nothingLeft("liar");
  },
  async "what is no model"() {
    await bad("html", /no GGUF file/);
    nothingLeft("html");
    await bad("gzip", /content-encoding 'gzip'/);
    await bad("giant", /header is longer than/);
    await bad("traversal", /"\.\.\/\.\.\/\.\.\/evil-Q8_0\.gguf"/);
    await bad("absolute", /evil-Q8_0\.gguf/);
    assert.ok(!existsSync(at("evil-Q8_0.gguf")) && !existsSync("/tmp/evil-Q8_0.gguf"));
    for (const name of ["../x/y", "a/..", "a/b:../c.gguf", "a/b:/etc/passwd", "a/b:.hidden.gguf", "a/b:c\\d", "/a/b", "a/b/c"]) {
      for (const verb of ["pull", "rm"]) {
        const result = await run([verb, name]);
        assert.equal(result.code, 1, name);
        assert.match(result.stderr, /expected OWNER\/NAME|found a part|found an empty|found a control/, name);
      }
    }
  },
  async "redirects and the token"() {
    await good("redirect", [], {BANTAM_TOKEN: "sesame"});
    const requests = await log();
    assert.ok(requests.some((r) => r.where === "registry" && r.token === "Bearer sesame"));
    assert.ok(requests.some((r) => r.where === "second"));
    assert.ok(requests.filter((r) => r.where === "second").every((r) => r.token === null), "the token left the registry");
    await good("relative");
    await bad("downgrade", /redirect to plain http/);
    await bad("loop", /more than 10 redirects/);
    await bad("private", /wants a token/);
    await bad("private", /token is not accepted/, [], {BANTAM_TOKEN: "wrong"});
    await bad("private", /no environment variable NOTHING/, ["--token-env", "NOTHING"]);
    await good("private", ["--token-env", "MINE"], {MINE: "sesame"});
  },
  async "patience"() {
    await good("busy");
    await bad("patience", /asks to wait for 100000 s/);
    await bad("plain6", /offline/, ["--offline"]);
    await bad("plain6", /offline/, [], {BANTAM_OFFLINE: "1"});
    await bad("plain6", /certificate is not accepted/, [], {BANTAM_CA_FILE: ""});
    await bad("plain6", /no registry/, [], {BANTAM_REGISTRY: ""});
    await bad("plain6", /plain http/, ["--registry", "http://registry.test:1"]);
  },
  async "a choice of files"() {
    const report = await good("several", [], {}, "several-Q4_K_M.gguf");
    assert.equal(report.name, "faults/several:q4_k_m");
    const two = await run(["pull", "faults/several:q8_0", "--json"]);
    assert.equal(two.code, 0, two.stderr);
    const none = await run(["pull", "faults/several:q2_k"]);
    assert.match(none.stderr, /found none of "q2_k" among .*several-Q4_K_M/);
    const listed = JSON.parse((await run(["ls", "several", "--json"])).stdout).models;
    assert.deepEqual(listed.map((m) => m.name), ["faults/several:q4_k_m", "faults/several:q8_0"]);
    assert.equal(listed[0].family, "llama");
    assert.equal(listed[0].type, "F32");
    assert.match((await run(["rm", "faults/several:q8_0"])).stdout, /^removed .*several-Q8_0\.gguf/);
    assert.match((await run(["rm", "faults/several:q8_0"])).stderr, /found none/);
    assert.equal((await run(["rm", "faults/several", "--all"])).code, 0);
    nothingLeft("several");
  },
  async "shards"() {
    const result = await run(["pull", "faults/shards:q8_0", "--json"]);
    assert.equal(result.code, 0, result.stderr);
    const report = JSON.parse(result.stdout);
    assert.equal(report.name, "faults/shards:q8_0");
    assert.equal(report.files.length, 2);
    assert.equal((await run(["show", "faults/shards"])).code, 0);
    rmSync(kept("shards", "m-q8_0-00002-of-00002.gguf"));
    assert.match((await run(["show", "faults/shards"])).stderr, /found 1 of the model's 2 files/);
    assert.equal((await run(["rm", "faults/shards:q8_0"])).code, 0);
    nothingLeft("shards");
  },
  async "URLs"() {
    await log();
    const url = `${registry}/faults/byurl/resolve/main/byurl-Q8_0.gguf`;
    const result = await run(["pull", url, "--json", "--sha256", hash], {BANTAM_REGISTRY: "", BANTAM_TOKEN: "sesame"});
    assert.equal(result.code, 0, result.stderr);
    assert.equal(JSON.parse(result.stdout).name, "faults/byurl:q8_0");
    assert.ok((await log()).every((r) => r.token === null), "a URL's host got the token");
    const plain = await run(["pull", `http://127.0.0.1:${ports.plain}/faults/x/resolve/main/x-Q8_0.gguf`, "--as", "mine/model", "--json"]);
    assert.equal(plain.code, 0, plain.stderr);
    assert.equal(JSON.parse(plain.stdout).name, "mine/model:q8_0");
    assert.equal((await run(["pull", "faults/unlisted:unlisted-Q8_0.gguf"])).code, 0);
    assert.match((await run(["pull", "faults/unlisted:q8_0"])).stderr, /404/);
  },
  async "a URL elsewhere never sees the token"() {
    writeFileSync(at("config.toml"), 'token-env = "MINE"\n');
    const elsewhere = [`https://localhost:${ports.second}/faults/t/resolve/main/t-Q8_0.gguf`, `http://127.0.0.1:${ports.plain}/faults/t/resolve/main/t-Q8_0.gguf`];
    await log();
    for (const url of elsewhere) {
      for (const [args, env] of [[["--token-env", "MINE"], {}], [["--config", at("config.toml")], {}], [[], {BANTAM_TOKEN_ENV: "MINE"}], [[], {BANTAM_TOKEN: "sesame"}]]) {
        rmSync(at("store/faults/t"), {recursive: true, force: true});
        assert.equal((await run(["pull", url, ...args], {MINE: "sesame", ...env})).code, 0);
      }
    }
    const requests = await log();
    assert.equal(requests.length, 8);
    assert.ok(requests.every((r) => r.token === null), "the token went elsewhere");
    const own = `${registry}/faults/private/resolve/main/private-Q8_0.gguf`;
    rmSync(at("store/faults/private"), {recursive: true, force: true});
    assert.equal((await run(["pull", own], {BANTAM_TOKEN: "sesame"})).code, 0);
    assert.match((await run(["pull", own.replace(ports.registry, ports.second), "--as", "a/b"], {BANTAM_TOKEN: "sesame"})).stderr, /sent to the registry only/);
  },
  async "rm tells what it removed, also where it fails later"() {
    await good("plain9");
    const result = await run(["rm", "faults/plain9", "faults/nowhere"]);
    assert.equal(result.code, 1);
    assert.match(result.stdout, /^removed .*plain9-Q8_0\.gguf \([\d.]+ [kM]B\)/);
    assert.match(result.stderr, /nowhere/);
  },
  async "a proxy"() {
    const far = {BANTAM_REGISTRY: "https://registry.test"};
    await bad("far", /registry\.test/, ["--retries", "0"], far);
    await good("far", [], {...far, https_proxy: `http://me:p%40ss@127.0.0.1:${ports.proxy}`});
    assert.ok((await log()).some((r) => r.where === "proxy" && r.url === "registry.test:443"));
    await bad("far2", /proxy .* answered 407/, ["--proxy", `127.0.0.1:${ports.proxy}`, "--retries", "0"], far);
    await bad("far2", /registry\.test/, ["--retries", "0"],
      {...far, https_proxy: `http://me:p%40ss@127.0.0.1:${ports.proxy}`, no_proxy: "registry.test"});
  },
  async "a full disk"() {
    // A limit on the size of files stands for it: the write fails in the same place.
    const limited = spawnSync("bash", ["-c", `ulimit -f 600; trap '' XFSZ; exec "$0" pull faults/plain7`, bantam], {env: base, encoding: "utf8"});
    assert.equal(limited.status, 1);
    assert.match(limited.stderr, /File too large|No space/);
    assert.ok(!existsSync(kept("plain7")));
    assert.ok((await good("plain7")).files[0].resumed_at > 0);
  },
};

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  if (process.env.ONLY && !name.includes(process.env.ONLY)) continue;
  try {
    await test();
    console.log(`ok: ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAILED: ${name}: ${error.stack}`);
  }
}
server.kill();
process.exit(failed > 0 ? 1 : 0);
