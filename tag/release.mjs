// Keeps the built tag for good: node tag/release.mjs. A released revision is served, byte for byte, as long as the box exists, for pages
// pin it with an integrity hash; so nothing under releases/ is ever changed or removed.
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, '../chalicelib/web/tag');
const printed = execFileSync('node', [join(here, 'build.mjs')], { encoding: 'utf8' });
const [, revision] = /revision ([A-Za-z0-9]{8})/.exec(printed);
const path = join(out, 'releases', `mtag.${revision}.js`);
copyFileSync(join(out, 'mtag.js'), path);
console.log(`${path}: ${readFileSync(path).length} bytes, /libs/mtag.${revision}.js`);
