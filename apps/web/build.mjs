// Bundles the page and writes it as C++ for the server:
//
//   node build.mjs MODULES DIST CPP
//
// MODULES is the node_modules folder of package-lock.json, DIST gets the files, CPP their bytes.
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const [modules, dist, cpp] = process.argv.slice(2).map((name) => path.resolve(name));
const here = path.dirname(fileURLToPath(import.meta.url));
const esbuild = createRequire(path.join(modules, 'packages.js'))('esbuild');

const kTypes = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

async function bundle() {
  const result = await esbuild.build({
    entryPoints: {
      app: path.join(here, 'src/main.jsx'),
      page: path.join(here, 'page.css'),
      icon: path.join(here, 'icon.svg'),
    },
    outdir: path.join(dist, 'assets'),
    absWorkingDir: here,
    nodePaths: [modules],
    entryNames: '[name]-[hash]',
    loader: { '.svg': 'copy' },
    bundle: true,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    minify: true,
    legalComments: 'inline', // licences of the packages stay with them
    write: false,
    logLevel: 'warning',
  });
  return result.outputFiles.map((file) => ({
    path: `/assets/${path.basename(file.path)}`,
    content: Buffer.from(file.contents),
  }));
}

// The start page names the others without a leading slash: a prefix of a reverse proxy is kept.
function startPage(assets) {
  const addressOf = (ending) => assets.find((file) => file.path.endsWith(ending)).path.slice(1);
  const text = readFileSync(path.join(here, 'index.html'), 'utf8')
    .replace('{{script}}', addressOf('.js'))
    .replace('{{style}}', addressOf('.css'))
    .replace('{{icon}}', addressOf('.svg'));
  return { path: '/', content: Buffer.from(text) };
}

// C++ that defines page_files(). Every file stands there twice, as it is and compressed.
function source(files) {
  const parts = files.map((file, index) => {
    const gzip = gzipSync(file.content, { level: 9 });
    const etag = createHash('sha256').update(file.content).digest('hex').slice(0, 16);
    const type = kTypes[path.extname(file.path) || '.html'];
    return {
      arrays: `constexpr char kFile${index}[] = {${bytes(file.content)}};\nconstexpr char kGzip${index}[] = {${bytes(gzip)}};\n`,
      entry: `    {"${file.path}", "${type}", "\\"${etag}\\"", {kFile${index}, ${file.content.length}}, {kGzip${index}, ${gzip.length}}},\n`,
    };
  });
  return `// Written by apps/web/build.mjs.
#include "server/page.h"

namespace fourfold {
namespace {

${parts.map((part) => part.arrays).join('')}
constexpr PageFile kFiles[] = {
${parts.map((part) => part.entry).join('')}};

}  // namespace

std::span<const PageFile> page_files() { return kFiles; }

}  // namespace fourfold
`;
}

function bytes(buffer) {
  return Array.from(buffer, (byte) => (byte < 128 ? byte : byte - 256)).join(',');
}

const assets = await bundle();
const files = [startPage(assets), ...assets];
rmSync(dist, { recursive: true, force: true });
for (const file of files) {
  const target = path.join(dist, file.path === '/' ? 'index.html' : file.path);
  mkdirSync(path.dirname(target), { recursive: true });
  writeFileSync(target, file.content);
}
writeFileSync(cpp, source(files));
