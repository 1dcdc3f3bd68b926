// Builds index.html, the whole page in one file: `node chalicelib/web/verify/build.mjs`. A test builds it again and compares.
// `--print` writes it to standard output instead.

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const text = (name) => readFileSync(here(name), 'utf8');
const sha256 = (content, encoding) => createHash('sha256').update(content).digest(encoding);

const { runtime } = JSON.parse(text('../../adapters/affiliate_network.json'));
const codeHash = '0x' + sha256(Buffer.from(runtime.slice(2), 'hex'), 'hex');
const { outputFiles } = await build({
  entryPoints: [here('src/page.js')],
  bundle: true,
  write: false,
  format: 'iife',
  target: 'es2022',
  charset: 'utf8',
  legalComments: 'none',
  define: { CODE_HASH: JSON.stringify(codeHash) },
});
const script = '\n' + outputFiles[0].text.replaceAll('</script', '<\\/script');
const style = text('src/page.css');
// Functions as replacements: in a string, $& would mean something.
const page = text('src/page.html')
  .replace('SCRIPT_HASH', () => `sha256-${sha256(script, 'base64')}`)
  .replace('STYLE_HASH', () => `sha256-${sha256(style, 'base64')}`)
  .replace('STYLE<', () => `${style}<`)
  .replace('SCRIPT<', () => `${script}<`);
if (process.argv.includes('--print')) process.stdout.write(page);
else writeFileSync(here('index.html'), page);
