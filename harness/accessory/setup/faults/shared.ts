import type { Behaviour } from '../../behaviour.js';
import type { Reply } from '../../messages/reply.js';

export function silent(when: (reply: Reply) => boolean): (ok: Behaviour) => Partial<Behaviour> {
  return (ok) => ({ answers: (reply) => !when(reply) && ok.answers(reply) });
}
