// Preloaded by tests: names every module that is imported or required, on standard error when the process ends.
import { registerHooks } from 'node:module';

const urls = [];
registerHooks({
  load(url, context, nextLoad) {
    urls.push(url);
    return nextLoad(url, context);
  },
});
process.on('exit', () => process.stderr.write(urls.join('\n')));
