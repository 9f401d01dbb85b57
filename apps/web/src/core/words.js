// Figures as people read them.

const kUnits = ['B', 'KB', 'MB', 'GB', 'TB'];

export function bytes(count) {
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < kUnits.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${kUnits[unit]}`;
}

export function count(value) {
  return value.toLocaleString('en');
}

// "1 token", "12 tokens".
export function counted(value, noun) {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

export function duration(milliseconds) {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 59_950) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

export function percent(share) {
  if (share >= 0.0995) return `${Math.round(share * 100)} %`;
  return share >= 0.001 ? `${(share * 100).toFixed(1)} %` : '< 0.1 %';
}

// A day for the list of conversations: "Today", "Yesterday", "12 March", "12 March 2025".
export function day(time, now = Date.now()) {
  const start = new Date(now).setHours(0, 0, 0, 0);
  if (time >= start) return 'Today';
  if (time >= start - 86_400_000) return 'Yesterday';
  const sameYear = new Date(time).getFullYear() === new Date(now).getFullYear();
  const options = { day: 'numeric', month: 'long', ...(sameYear ? {} : { year: 'numeric' }) };
  return new Date(time).toLocaleDateString('en-GB', options);
}

const kFinishes = {
  length: 'Ended by the limit of tokens',
  stopped: 'Stopped',
  cut: 'The connection ended before the answer did',
};

// Why an answer ended, where that needs saying.
export function finishNote(finish) {
  return kFinishes[finish] ?? '';
}
