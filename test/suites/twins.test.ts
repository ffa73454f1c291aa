import { quickArithmetic } from '../arithmetic.js';
import { faultsAreFound } from './faults.js';
import { gridOfDefects } from './grid.js';

/** What the suite says of twins of the reference accessory: in one file, because they share most of their arithmetic. */
describe('suites: twins', function () {
  // Against a hang only.
  this.timeout(600_000);
  quickArithmetic();

  faultsAreFound();
  gridOfDefects();
});
