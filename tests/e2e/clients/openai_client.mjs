// Clients of the OpenAI rows.
import OpenAI from 'openai';

import {base, key} from './rows.mjs';

export const openai = (baseURL = `${base}/v1`, options = {}) => new OpenAI({baseURL, apiKey: key, ...options});
export const user = (content) => [{role: 'user', content}];
export const plain =
    'The pump runs at six. Then the fan turns for ten minutes, and the vent stays open until noon.';

export function usageAddsUp(usage) {
  return usage.prompt_tokens > 0 && usage.total_tokens === usage.prompt_tokens + usage.completion_tokens &&
      usage.completion_tokens_details.reasoning_tokens >= 0 && usage.prompt_tokens_details.cached_tokens >= 0;
}
