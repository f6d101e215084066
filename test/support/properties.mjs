// Properties are tried with the same values everywhere, so that a change is judged by what it changes. To look for new counterexamples, give
// another seed and more runs: PROPERTY_SEED=random PROPERTY_RUNS=1000 npm test
import fc from 'fast-check';

const { PROPERTY_SEED: seed = '1', PROPERTY_RUNS: runs } = process.env;
fc.configureGlobal({
  ...(seed === 'random' ? {} : { seed: Number(seed) }),
  ...(runs === undefined ? {} : { numRuns: Number(runs) }),
});
