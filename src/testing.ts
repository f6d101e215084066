/** The test kit for authors of modifiers and observers. */
export { tryModifier, type Trial, type Tried } from './run/testing/modifier.js';
export { observe, observeWeight, type Observed, type ObservedWeight } from './run/testing/observer.js';
export { tinyModel, type TinyModelOptions } from './run/testing/model.js';
export { optionErrors } from './run/testing/options.js';
