// Before anything is painted, hence no module: a dark page must not flash white.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("relay.theme");
  } catch {
    // Storage is forbidden: the system's choice it is.
  }
  if (chosen === "light" || chosen === "dark") {
    document.documentElement.dataset.theme = chosen;
  }
})();
