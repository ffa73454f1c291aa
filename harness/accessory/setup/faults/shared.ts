import type { Behaviour, Reply } from '../../behaviour.js';

export function silent(when: (reply: Reply) => boolean): (ok: Behaviour) => Partial<Behaviour> {
  return (ok) => ({ answers: (reply) => !when(reply) && ok.answers(reply) });
}
