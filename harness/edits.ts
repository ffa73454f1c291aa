/** What may be done to a message before it is sent: items left out, put in, exchanged, bits turned; and other contents. */
export {
  type Edit,
  type M5Options,
  type VerifyM3Options,
  all,
  applyEdit,
  drop,
  duplicate,
  flip,
  insert,
  reorder,
  replace,
  resize,
} from './controller/index.js';
