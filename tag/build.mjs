// Builds the tag: node tag/build.mjs [--check]. Reproducible: the bytes depend on tag/src and the pinned esbuild alone.
// --check builds into memory and fails when what is committed differs; both fail over the size limits.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execFileSync } from 'node:child_process';
import { build } from 'esbuild';
import { minify } from 'terser';

const LIMITS = { raw: 4500, gzip: 2000, stub: 300 };
const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, '../chalicelib/web/tag');
const check = process.argv.includes('--check');

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const base62 = (bytes) => {
  let n = BigInt('0x' + bytes.toString('hex'));
  let text = '';
  while (n) [text, n] = [BASE62[Number(n % 62n)] + text, n / 62n];
  return text.padStart(43, '0');
};

const bundled = async (entry, format) => {
  const { outputFiles } = await build({
    entryPoints: [join(here, 'src', entry)],
    bundle: true,
    format,
    target: 'es2021',
    charset: 'utf8',
    write: false,
  });
  return outputFiles[0].text;
};

const minified = async (text, options) => (await minify(text, { ecma: 2020, ...options })).code;

/** terser, which inlines what is used once, is what gets the tag under its limit. It does so within a function alone, so the tag is one
 *  first; as a block, with one keyword in the place of three, it is 20 bytes smaller. (The order of main.js's imports is that of everything,
 *  and worth five.) Whatever happens while it starts, nothing is thrown into the page. */
const block = async (text) => {
  const whole = await minified(text.replace(/\bconst /g, 'let '), { mangle: false, compress: { passes: 4, inline: 1 } });
  const [, inner] = /^\(\(\)=>\{(.*)\}\)\(\);$/s.exec(whole);
  return minified(`try{${inner.replace(/(^|[;}])var /g, '$1let ')}}catch{}`, { compress: { passes: 1 } });
};

const wrong = [];
const place = (name, bytes) => {
  const path = join(out, name);
  if (existsSync(path) && readFileSync(path).equals(bytes)) return;
  if (check) wrong.push(`${name} is not what tag/src builds: run node tag/build.mjs and commit`);
  else {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
  }
};

const tag = Buffer.from(await block(await bundled('main.js', 'iife')));
const panel = Buffer.from(await minified(await bundled('panel.js', 'esm'), { module: true, compress: { passes: 4 } }));
const stub = readFileSync(join(here, 'stub.html'));
const revision = base62(createHash('sha256').update(tag).digest()).slice(0, 8);
place('mtag.js', tag);
place('mtag-debug.js', panel);

// As gzip writes it from a file: with the file's name and its end.
const gzip = execFileSync('gzip', ['-9nc'], { input: tag }).length + 'mtag.js'.length + 1;
const stubSize = stub.toString().trim().length;
console.log(`mtag.js ${tag.length} raw (limit ${LIMITS.raw}), ${gzip} gzip -9 (limit ${LIMITS.gzip}), revision ${revision}`);
console.log(`stub ${stubSize} (limit ${LIMITS.stub}), mtag-debug.js ${panel.length} raw, loaded on demand only`);
if (tag.length > LIMITS.raw) wrong.push(`mtag.js is ${tag.length - LIMITS.raw} bytes over the raw limit`);
if (gzip > LIMITS.gzip) wrong.push(`mtag.js is ${gzip - LIMITS.gzip} bytes over the gzip limit`);
if (stubSize > LIMITS.stub) wrong.push('the stub is over its limit');
if (!existsSync(join(out, 'releases', `mtag.${revision}.js`))) console.log('not released: node tag/release.mjs keeps these bytes for good');
for (const line of wrong) console.error(line);
process.exit(wrong.length ? 1 : 0);
