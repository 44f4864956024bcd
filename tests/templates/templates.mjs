// templates.mjs FOLDER: every chat template of FOLDER renders 200 conversations as @huggingface/jinja does. Where that
// implementation differs from Python's Jinja2 in a way that is known and named below, the pair is counted apart.
import {execFileSync} from "node:child_process";
import {existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {Template} from "@huggingface/jinja";
import {conversations} from "./conversations.mjs";

const folder = process.argv[2];
if (!existsSync(folder)) {
  console.log(`skipped: ${folder} is not there`);
  process.exit(77);
}
const names = readdirSync(folder).filter((name) => name.endsWith(".jinja"));
const templates = names.map((name) => readFileSync(join(folder, name), "utf8"));
const cases = conversations(200);

// What Python's Jinja2 3.1.6 renders as we do and @huggingface/jinja 0.5.11 does not, and why.
const known = new Map([
  ["CohereForAI-c4ai-command-r-plus-tool_use.jinja", "there a text is not iterable"],
  ["GLM-5.2.jinja", "there a set in a loop's body is still there in the next round"],
  ["Mistral-Small-3.2-24B-Instruct-2506.jinja", "there messages are compared by identity"],
  ["mistralai-Mistral-Nemo-Instruct-2407.jinja", "there messages are compared by identity"],
  ["HuggingFaceTB-SmolLM3-3B.jinja", "there strip functions take no characters"],
  ["Qwen-QwQ-32B.jinja", "there strip functions take no characters"],
]);

const work = mkdtempSync(join(tmpdir(), "bantam-templates-"));
let ours;
try {
  writeFileSync(join(work, "cases.json"), JSON.stringify({templates, conversations: cases}));
  execFileSync(process.env.RENDER_TEMPLATES, [join(work, "cases.json"), join(work, "out.json")], {stdio: "inherit"});
  ours = JSON.parse(readFileSync(join(work, "out.json"), "utf8"));
} finally {
  rmSync(work, {recursive: true});
}

function theirs(template, c) {
  try {
    return {
      text: template.render({
        messages: c.messages, tools: c.tools ?? null, bos_token: "<s>", eos_token: "</s>",
        add_generation_prompt: c.add_generation_prompt, ...c.variables,
      }),
    };
  } catch (error) {
    return {error: error.message};
  }
}

let same = 0, refused = 0, knownDifferent = 0, onlyOurs = 0, onlyTheirs = 0;
const different = [], lenient = new Map(), strict = new Map();
for (const [t, name] of names.entries()) {
  let template;
  try {
    template = new Template(templates[t]);
  } catch (error) {
    console.log(`${name}: @huggingface/jinja cannot parse it: ${error.message}`);
    if (ours[t].every((result) => result.error !== undefined)) different.push(`${name}: neither can we`);
    continue;
  }
  for (const [i, c] of cases.entries()) {
    const a = ours[t][i], b = theirs(template, c);
    if (a.text !== undefined && a.text === b.text) same++;
    else if (a.error !== undefined && b.error !== undefined) refused++;
    else if (b.error !== undefined) onlyOurs++, lenient.set(name, b.error);
    else if (a.error !== undefined) onlyTheirs++, strict.set(name, a.error);
    else if (known.has(name)) knownDifferent++;
    else different.push(`${name}, conversation ${i}:\n--- ours\n${a.text}\n--- theirs\n${b.text}`);
  }
}
console.log(`${names.length} templates, ${cases.length} conversations: ${same} equal, ${refused} refused by both, ` +
  `${onlyOurs} rendered by us only, ${onlyTheirs} by @huggingface/jinja only, ${knownDifferent} different as known, ` +
  `${different.length} different`);
for (const [name, why] of lenient) console.log(`  only we: ${name}: there: ${why}`);
for (const [name, why] of strict) console.log(`  only they: ${name}: here: ${why}`);
for (const text of different.slice(0, 10)) console.log(text);
process.exit(different.length > 0 || onlyTheirs > 0 || same < 9000 ? 1 : 0);
