import assert from 'node:assert/strict';
import { sameBytes } from './case.ts';
import type { Case } from './case.ts';
import { bytesOf, store } from './content.ts';

export const LIFECYCLE_CASES: readonly Case[] = [
  {
    name: 'can be created again without harm to what is there',
    async run(backend) {
      const content = bytesOf(100, 1);
      const file = await store(backend, 'key', content);
      await backend.create();
      sameBytes(await backend.load(file), content, 'loaded');
    },
  },
  {
    name: 'shows no secret in its location',
    async run(backend, expected) {
      assert.notEqual(backend.location, '');
      assert.doesNotMatch(backend.location, /\/\/[^/@]*:(?!\*\*\*@)[^/@]*@/, 'user:password@ in the location');
      for (const secret of expected.secrets ?? []) assert.ok(!backend.location.includes(secret));
    },
  },
  {
    name: 'asks for at least one connection',
    async run(backend) {
      assert.ok(Number.isSafeInteger(backend.traits.connections) && backend.traits.connections >= 1);
    },
  },
  {
    name: 'can be disposed of twice',
    async run(backend) {
      await store(backend, 'data', bytesOf(10, 1));
      await backend[Symbol.asyncDispose]();
      await backend[Symbol.asyncDispose]();
    },
  },
];
