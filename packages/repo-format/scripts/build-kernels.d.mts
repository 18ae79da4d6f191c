/** Every kernel of this package: the generated module as the present .wat makes it, and the file that should hold it. */
export function buildKernels(): Promise<readonly { readonly file: URL; readonly text: string }[]>;
