// Clients of the Gemini rows.
import {GoogleGenAI} from '@google/genai';

import {base, key} from './rows.mjs';

export const google = (baseUrl = base, options = {}) =>
    new GoogleGenAI({apiKey: key, httpOptions: {baseUrl, ...options}});

export const parts = (reply) => reply.candidates[0].content.parts;
export const thoughts = (reply) =>
    parts(reply).filter((part) => part.thought).map((part) => part.text).join('');

// Usage as http-apis.md 1.7 adds it up.
export function usageAddsUp(usage) {
  const {promptTokenCount = 0, candidatesTokenCount = 0, thoughtsTokenCount = 0} = usage;
  return promptTokenCount > 0 &&
      usage.totalTokenCount === promptTokenCount + candidatesTokenCount + thoughtsTokenCount;
}
