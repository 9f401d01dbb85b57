// What the reader prefers, kept in the browser across conversations.

const kKey = 'fourfold.preferences';

export function loadPreferences() {
  const usual = { theme: 'system', key: '', colouring: 'probability', settings: null, last: null };
  try {
    return { ...usual, ...JSON.parse(localStorage.getItem(kKey)) };
  } catch {
    return usual;
  }
}

export function savePreferences(preferences) {
  try {
    localStorage.setItem(kKey, JSON.stringify(preferences));
  } catch {
    // A browser that keeps nothing: they last as long as the page.
  }
}

// 'light', 'dark', or 'system' for what the system says.
export function showTheme(theme) {
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}
