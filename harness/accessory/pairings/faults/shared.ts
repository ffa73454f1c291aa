import { Permission } from '../../../protocol/index.js';
import type { Behaviour } from '../../behaviour.js';
import type { Pairing } from '../../facts.js';
import type { Reply } from '../../messages/reply.js';

export function isAdmin(pairing: Pairing | undefined): boolean {
  return ((pairing?.permissions ?? 0) & Permission.Admin) !== 0;
}

/** Lets plain users do one thing. */
export function usersMay(step: Reply['step'], also: (ok: Behaviour) => Partial<Behaviour> = () => ({})) {
  return (ok: Behaviour): Partial<Behaviour> => ({
    isAdmin: (pairing, requester, asked) => asked === step || ok.isAdmin(pairing, requester, asked),
    ...also(ok),
  });
}
