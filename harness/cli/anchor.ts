import { existsSync, realpathSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { nearestConfig } from './config.js';

/** What a run was told by, which may lie in the repository. */
interface Told {
  /** The configuration it was told by, if it was. */
  readonly config?: string | undefined;
  readonly expectations?: string | undefined;
}

/** The root of the repository: where GitHub has checked it out, else the nearest folder upward with `.git`, else this one. */
function rootOf(cwd: string, workspace: string | undefined): string {
  if (workspace !== undefined && workspace !== '' && existsSync(workspace)) return realpathSync(workspace);
  for (let folder = realpathSync(cwd); ; folder = dirname(folder)) {
    if (existsSync(join(folder, '.git'))) return folder;
    if (dirname(folder) === folder) return realpathSync(cwd);
  }
}

/** `OWNER/REPOSITORY/.github/workflows/x.yml@refs/heads/main`: the file of the workflow. */
function workflowOf(root: string, ref: string | undefined): string | undefined {
  const [, path] = /^[^/]+\/[^/]+\/(.+?)@/.exec(ref ?? '') ?? [];
  return path === undefined ? undefined : join(root, path);
}

/**
 * The file of the repository at which findings about an accessory are shown: the configuration of the run, else its
 * expectations, else the workflow that runs it. Undefined where none of them is there, and in the repository.
 * @returns the path from its root, `/` between folders, links followed, as code scanning wants it
 */
export function anchorOf(
  { config, expectations }: Told,
  cwd: string,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const root = rootOf(cwd, env['GITHUB_WORKSPACE']);
  const candidates = [config, nearestConfig(cwd), expectations, workflowOf(root, env['GITHUB_WORKFLOW_REF'])];
  for (const path of candidates) {
    if (path === undefined) continue;
    const file = resolve(cwd, path);
    if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) continue;
    const from = relative(root, realpathSync(file));
    if (from !== '..' && !from.startsWith(`..${sep}`) && !isAbsolute(from)) return from.split(sep).join('/');
  }
  return undefined;
}
