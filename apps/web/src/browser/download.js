// Hands the reader a JSON file.
export function downloadJson(name, value) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([JSON.stringify(value, null, 1)]));
  link.download = `${name.replace(/[^\p{L}\p{N} _-]/gu, '').trim() || 'conversation'}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
