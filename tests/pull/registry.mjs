// registry.mjs CERTIFICATE KEY MODEL: a registry in Hugging Face's layout that misbehaves on request: what a model's name says
// is what goes wrong with it. Prints its ports as a line of JSON; GET /log of the control port gives the requests so far.
import {createHash} from "node:crypto";
import {readFileSync} from "node:fs";
import http from "node:http";
import https from "node:https";
import net from "node:net";

const [certificate, key, path] = process.argv.slice(2);
const model = readFileSync(path);
const other = Buffer.from(model);
other[other.length - 1] ^= 1;
const garbage = Buffer.concat([Buffer.from("GGUF"), Buffer.from([3, 0, 0, 0]), Buffer.alloc(2000, 7)]);
const sha = (bytes) => createHash("sha256").update(bytes).digest("hex");
const tls = {cert: readFileSync(certificate), key: readFileSync(key)};
const log = [];
const seen = new Map();  // requests of each path so far
const ports = {};

const files = {
  shards: {"m-q8_0-00001-of-00002.gguf": model, "m-q8_0-00002-of-00002.gguf": other},
  badshards: {"m-q8_0-00001-of-00002.gguf": garbage, "m-q8_0-00002-of-00002.gguf": model},
  several: {"several-Q4_K_M.gguf": model, "several-Q8_0.gguf": other, "mmproj-several-f16.gguf": model, "README.md": model},
};
const filesOf = (name) => files[name] ?? {[`${name}-Q8_0.gguf`]: model};

function listing(name) {
  const siblings = Object.entries(filesOf(name)).map(([rfilename, bytes]) =>
    ({rfilename, size: bytes.length, lfs: {sha256: sha(bytes), size: bytes.length}}));
  if (name === "wronghash") siblings[0].lfs.sha256 = sha(other);
  if (["nohash", "digest", "html", "baddigest", "tagged", "spoiled", "rehashed", "badshards"].includes(name)) for (const file of siblings) delete file.lfs;
  if (["nohash", "html", "spoiled"].includes(name)) delete siblings[0].size;
  if (name === "traversal") siblings[0].rfilename = "../../../evil-Q8_0.gguf";
  if (name === "absolute") siblings[0].rfilename = "/tmp/evil-Q8_0.gguf";
  if (name === "liar") siblings[0].lfs.size = siblings[0].size = model.length - 10;
  if (name === "huge") siblings[0].lfs.size = siblings[0].size = 2 ** 53;
  return {id: `faults/${name}`, sha: "0123456789abcdef0123456789abcdef01234567", siblings};
}

/** The file with Range and If-Range, at most `most` bytes of it before the connection is cut. */
function send(request, response, bytes, {etag = `"${sha(bytes)}"`, most = Infinity, ranges = true, headers = {}} = {}) {
  const match = ranges && /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
  const fresh = request.headers["if-range"] === undefined || request.headers["if-range"] === etag;
  let begin = match && fresh ? Number(match[1]) : 0;
  if (begin >= bytes.length && begin > 0) {
    response.writeHead(416, {"content-range": `bytes */${bytes.length}`}).end();
    return;
  }
  const all = {"content-length": bytes.length - begin, ...(etag ? {etag} : {}), ...headers};
  if (begin > 0) all["content-range"] = `bytes ${begin}-${bytes.length - 1}/${bytes.length}`;
  response.writeHead(begin > 0 ? 206 : 200, all);
  if (bytes.length - begin <= most) return void response.end(bytes.subarray(begin));
  response.write(bytes.subarray(begin, begin + most), () => setTimeout(() => response.destroy(), 20));
}

function resolve(name, file, request, response) {
  const bytes = filesOf(name)[file] ?? model;
  const round = (seen.get(request.url) ?? 0) + 1;
  seen.set(request.url, round);
  const to = (location, headers = {}) => response.writeHead(302, {location, ...headers}).end();
  switch (name) {
    case "redirect":  // as a hub to its store: another host, which must not see the token
      return to(`https://localhost:${ports.second}/store/${file}?signature=secret`,
        {"x-linked-etag": `"${sha(bytes)}"`, "x-linked-size": bytes.length});
    case "relative": return to(`../../../relative-target/./resolve/main/${file}`);
    case "relative-target": return send(request, response, bytes);
    case "downgrade": return to(`http://localhost:${ports.control}/plain`);
    case "loop": return to(request.url);
    case "cut": return send(request, response, bytes, {most: 400_000});
    case "norange": return send(request, response, bytes, {ranges: false, most: round < 2 ? 300_000 : Infinity});
    case "changed":  // another file from the second request on
      return send(request, response, round < 2 ? other : bytes, {most: round < 2 ? 300_000 : Infinity, etag: round < 2 ? '"old"' : '"new"'});
    case "baddigest": case "digest": {
      const digest = createHash("sha256").update(name === "digest" ? bytes : other).digest("base64");
      return send(request, response, bytes, {etag: '"x"', headers: {"repr-digest": `sha-256=:${digest}:`}});
    }
    case "rehashed":  // the same with hashes that the server names itself
      return send(request, response, round < 2 ? other : bytes, {most: round < 2 ? 300_000 : Infinity});
    case "tagged": return request.headers["if-none-match"] === '"v1"'
      ? response.writeHead(304, {etag: '"v1"'}).end() : send(request, response, bytes, {etag: '"v1"'});
    case "spoiled":  // what nobody can run, in the place of a model
      return send(request, response, round < 2 ? bytes : garbage, {etag: ""});
    case "badshards": return send(request, response, bytes, {etag: ""});
    case "nohash": return send(request, response, bytes, {etag: ""});
    case "truncated":  // well-formed, and too little
      return response.writeHead(200, {"transfer-encoding": "chunked"}).end(bytes.subarray(0, 1000));
    case "endless":
      response.writeHead(200, {"transfer-encoding": "chunked"});
      return void response.end(Buffer.concat([bytes, Buffer.alloc(1 << 20)]));
    case "busy": return round < 3
      ? response.writeHead(round < 2 ? 429 : 503, {"retry-after": "0"}).end("later") : send(request, response, bytes);
    case "patience": return response.writeHead(429, {"retry-after": "100000"}).end("later");
    case "beyond":  // a range that it says it does not have
      if (request.headers.range) return response.writeHead(416, {"content-range": `bytes */${bytes.length}`}).end();
      return send(request, response, bytes, {most: round < 2 ? 300_000 : Infinity});
    case "elsewhere":  // another part than asked for
      if (request.headers.range && round < 3)
        return response.writeHead(206, {"content-range": `bytes 5-${bytes.length - 1}/${bytes.length}`, "content-length": bytes.length - 5}).end(bytes.subarray(5));
      return send(request, response, bytes, {most: round < 2 ? 300_000 : Infinity});
    case "html": return response.writeHead(200, {"content-type": "text/html"}).end("<html>Please log in</html>");
    case "gzip": return send(request, response, bytes, {headers: {"content-encoding": "gzip"}});
    case "giant": return send(request, response, bytes, {headers: {"x-giant": "x".repeat(1 << 18)}});
    case "private": return request.headers.authorization === "Bearer sesame"
      ? send(request, response, bytes) : response.writeHead(401).end();
    case "slow": {
      const match = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
      let at = match ? Number(match[1]) : 0;
      response.writeHead(match ? 206 : 200, {"content-length": bytes.length - at, etag: `"${sha(bytes)}"`,
        ...(match ? {"content-range": `bytes ${at}-${bytes.length - 1}/${bytes.length}`} : {})});
      const timer = setInterval(() => {
        response.write(bytes.subarray(at, at + 50_000));
        if ((at += 50_000) >= bytes.length) { clearInterval(timer); response.end(); }
      }, 20);
      return void response.on("close", () => clearInterval(timer));
    }
    default: return send(request, response, bytes);
  }
}

function handle(where) {
  return (request, response) => {
    log.push({where, url: request.url, range: request.headers.range ?? null, token: request.headers.authorization ?? null});
    const list = /^\/api\/models\/faults\/([\w.-]+)\/revision\/main\?blobs=true$/.exec(request.url);
    const file = /^\/faults\/([\w.-]+)\/resolve\/[\w.-]+\/([\w./-]+)(?:\?.*)?$/.exec(request.url);
    const store = /^\/store\/([\w.-]+)\?signature=secret$/.exec(request.url);
    if (list && list[1] !== "unlisted") {
      response.writeHead(200, {"content-type": "application/json"}).end(JSON.stringify(listing(list[1])));
    } else if (file) {
      resolve(file[1], file[2], request, response);
    } else if (store) {
      send(request, response, model);
    } else {
      response.writeHead(404).end();
    }
  };
}

const listen = (server) => new Promise((done) => server.listen(0, "127.0.0.1", () => done(server.address().port)));
ports.registry = await listen(https.createServer(tls, handle("registry")));
ports.second = await listen(https.createServer(tls, handle("second")));
ports.plain = await listen(http.createServer(handle("plain")));
ports.control = await listen(http.createServer((request, response) => response.end(JSON.stringify(request.url === "/log" ? log.splice(0) : {}))));
// A proxy: it knows where registry.test is, and nobody else does.
const proxy = http.createServer();
proxy.on("connect", (request, socket) => {
  log.push({where: "proxy", url: request.url, token: request.headers["proxy-authorization"] ?? null});
  if (request.headers["proxy-authorization"] !== `Basic ${Buffer.from("me:p@ss").toString("base64")}`)
    return socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
  const to = net.connect(ports.registry, "127.0.0.1", () => {
    socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
    to.pipe(socket).pipe(to);
  });
  to.on("error", () => socket.destroy());
  socket.on("error", () => to.destroy());
});
ports.proxy = await listen(proxy);
console.log(JSON.stringify(ports));
