// mt_bench.mjs QUESTIONS.jsonl JUDGEMENTS.jsonl > graded.jsonl: a line a question, its two turns as the conversation, and each
// model's mean score of both turns.
import { readFileSync } from 'node:fs';

const lines = (file) => readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
const [questions, judgements] = process.argv.slice(2).map(lines);
for (const question of questions) {
  const scores = {};
  for (const { question_id, model, score } of judgements) {
    if (question_id === question.question_id && score >= 0) (scores[model] ??= []).push(score);
  }
  const quality = Object.fromEntries(Object.entries(scores).map(([model, all]) => [model, all.reduce((a, b) => a + b) / all.length]));
  const messages = question.turns.map((content) => ({ role: 'user', content }));
  console.log(JSON.stringify({ messages, quality }));
}
