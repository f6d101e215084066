// Node 20: mocha 12 would require() a spec first, which bypasses the ts-node loader. This makes it import().
Object.defineProperty(process.features, 'require_module', { value: false, configurable: true });
