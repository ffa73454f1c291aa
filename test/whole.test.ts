import { quickArithmetic } from './arithmetic.js';
import { price } from './care/price.js';
import { aSeedDecides } from './runner/seed.js';
import { benignVariants } from './suites/variants.js';

/**
 * The whole suite with one seed, on an accessory that is quick or slow, alone or behind a network. In one file, because
 * the arithmetic of these runs is the same, and most of what they cost: it is paid for once.
 */
describe('the whole suite', function () {
  // Against a hang only.
  this.timeout(600_000);
  quickArithmetic();

  aSeedDecides();
  price();
  benignVariants();
});
