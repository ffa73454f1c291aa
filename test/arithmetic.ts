import { computingWith, memoiseArithmetic, openssl } from '../harness/protocol/index.js';

/**
 * In the tests around it what is computed once is remembered, and controllers compute with OpenSSL, as in the self-test:
 * for what asks what is said and done, and not whether it is rightly computed.
 */
export function quickArithmetic(): void {
  let end: () => void = () => undefined;
  before(() => {
    memoiseArithmetic(true);
    void computingWith(openssl, () => new Promise<void>((resolve) => (end = resolve)));
  });
  after(() => {
    memoiseArithmetic(false);
    end();
  });
}
