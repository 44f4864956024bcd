// The engine in a worker.
import {blobSource, Engine} from './bantam';
import type {FromWorker, ToWorker} from './messages';

let engine: Engine | null = null;

function tell(message: FromWorker): void {
  postMessage(message);
}

async function handle(message: ToWorker): Promise<void> {
  if ('load' in message) {
    if (engine === null) {
      const response = await fetch(message.wasm);
      if (!response.ok) throw new Error(`${message.wasm}: found status ${response.status}`);
      engine = await Engine.create(await response.arrayBuffer());
    }
    return tell({loaded: engine.load(blobSource(message.load), message.context ?? 0)});
  }
  if (engine === null) throw new Error('no model is loaded');
  tell({done: engine.generate(message.generate, (text) => tell({text}))});
}

self.onmessage = async ({data}: MessageEvent<ToWorker>) => {
  try {
    await handle(data);
  } catch (error) {
    tell({error: error instanceof Error ? error.message : String(error)});
  }
};
