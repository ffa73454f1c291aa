/** Removes what an earlier build left of sources that are renamed or gone: `tsc --build` never does, and tests would run it. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
if (existsSync(dist))
  for (const name of readdirSync(dist, { recursive: true })) {
    const sources = ['.ts', '.tsx'].map((end) => name.replace(/(\.d)?\.ts$|\.js$/, end));
    if (/\.(js|ts|json)$/.test(name) && !sources.some((source) => existsSync(join(root, source))))
      rmSync(join(dist, name));
  }
