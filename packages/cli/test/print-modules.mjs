// Preloaded by tests: names every module the program loads on standard error when it ends.
import { registerHooks } from 'node:module';

const urls = [];
registerHooks({
  load(url, context, nextLoad) {
    urls.push(url);
    return nextLoad(url, context);
  },
});
process.on('exit', () => process.stderr.write(urls.join('\n')));
