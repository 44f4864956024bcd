import {defineConfig} from 'vite';

// The page, and beside it bantam.js: the engine for other people's pages, with its exports kept.
export default defineConfig({
  base: './',
  build: {
    target: 'es2022',
    modulePreload: {polyfill: false},
    emptyOutDir: false,  // bantam.wasm lies there already
    rollupOptions: {
      input: {page: 'index.html', bantam: 'src/bantam.ts'},
      preserveEntrySignatures: 'strict',
      output: {entryFileNames: '[name].js', chunkFileNames: '[name].js', assetFileNames: '[name][extname]'},
    },
  },
  worker: {format: 'es', rollupOptions: {output: {entryFileNames: '[name].js'}}},
});
