// The models of the server, from what its lists say: api/tags (what there is, what it can do) and
// api/ps (what is loaded, how large it is in memory).

export function modelList(tags, loaded) {
  const inMemory = new Map((loaded?.models ?? []).map((model) => [model.name, model]));
  return (tags?.models ?? []).map((model) => {
    const running = inMemory.get(model.name);
    const details = model.details ?? {};
    return {
      name: model.name,
      parameters: details.parameter_size ?? '',
      quantization: details.quantization_level ?? '',
      context: running?.context_length ?? details.context_length ?? 0,
      fileBytes: model.size ?? 0,
      isLoaded: Boolean(running),
      memoryBytes: running?.size ?? 0,
      unloads: running?.expires_at ? Date.parse(running.expires_at) : 0,
      capabilities: new Set(model.capabilities ?? []),
    };
  });
}

// "keeper" for "keeper:latest".
export function shortName(model) {
  return model.name.replace(/:latest$/, '');
}

// Why this kind of media cannot be sent, or '' if it can.
export function mediaRefusal(model, kind) {
  if (!model) return 'no model is chosen';
  const { capabilities } = model;
  const name = shortName(model);
  if (kind === 'image' && !capabilities.has('vision')) return `${name} was loaded without eyes`;
  if (kind === 'audio' && !capabilities.has('audio')) return `${name} was loaded without ears`;
  if (kind === 'video' && !capabilities.has('vision')) return `${name} was loaded without eyes`;
  return '';
}

// Browsers leave the type empty where the system does not know the ending.
const kEndings = {
  image: ['heic', 'heif', 'avif', 'webp', 'bmp'],
  audio: ['flac', 'm4a', 'ogg', 'oga', 'opus', 'wav', 'mp3'],
  video: ['mkv', 'mov', 'avi', 'webm', 'mp4'],
};

// 'image', 'audio' or 'video'; null for what is no media.
export function mediaKind({ type, name }) {
  const kinds = Object.keys(kEndings);
  const ending = name.split('.').at(-1).toLowerCase();
  return (
    kinds.find((kind) => type.startsWith(`${kind}/`)) ??
    (type === '' ? kinds.find((kind) => kEndings[kind].includes(ending)) : null) ??
    null
  );
}

// One sentence for all kinds that are refused, or ''.
export function mediaReason(model) {
  const lacks = ['image', 'audio'].filter((kind) => mediaRefusal(model, kind));
  if (!model || lacks.length === 0) return '';
  if (lacks.length === 2) return `${shortName(model)} takes text only`;
  return lacks[0] === 'image'
    ? `${shortName(model)} takes no pictures or video`
    : `${shortName(model)} takes no sound`;
}
