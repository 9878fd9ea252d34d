// Light and dark: the colours of the charts are those of the style sheet, read anew when the theme changes.

const KEY = "kickstand-theme";
const CHOICES = ["auto", "light", "dark"];

// Told apart by people with any colour vision (after Okabe and Ito, darkened or lightened for contrast of 3:1 and more); every
// use adds a shape, a dash or a pattern.
const QUALITATIVE = {
  light: ["#0072b2", "#c24a00", "#00795a", "#a8457f", "#7a6000", "#3a86b8", "#66717f", "#7d4fc4"],
  dark: ["#4fb0ee", "#ff8a4c", "#35c79c", "#ef9dcb", "#e9c94b", "#9fd3f5", "#c7cdd6", "#b79cf0"],
};

// viridis (S. van der Walt, N. Smith), without its ends that fade into the background.
const VIRIDIS = [
  "#440154",
  "#482878",
  "#3e4989",
  "#31688e",
  "#26828e",
  "#1f9e89",
  "#35b779",
  "#6ece58",
  "#b5de2b",
  "#fde725",
];

export const SYMBOLS = [
  "circle",
  "rect",
  "triangle",
  "diamond",
  "path://M0,0L10,0L5,9Z",
  "path://M3.5,0h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5v-3h3.5z",
  "path://M5,0L6.2,3.6L10,3.6L6.9,5.9L8.1,9.6L5,7.3L1.9,9.6L3.1,5.9L0,3.6L3.8,3.6Z",
];
export const DASHES = ["solid", [7, 4], [2, 3], [9, 3, 2, 3], [12, 4], [4, 2], [1, 4]];

function stored() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // pages opened from a file may have no storage
  }
}

export function themeChoice() {
  return CHOICES.includes(stored()) ? stored() : "auto";
}

const darkSystem = () => matchMedia("(prefers-color-scheme: dark)");

export function applyTheme(choice) {
  try {
    localStorage.setItem(KEY, choice);
  } catch {
    // the choice then lasts as long as the page
  }
  const dark = choice === "dark" || (choice === "auto" && darkSystem().matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}

export function onSystemTheme(listener) {
  darkSystem().addEventListener("change", listener);
}

function mix(a, b, part) {
  const channel = (at) => {
    const from = parseInt(a.slice(at, at + 2), 16);
    const to = parseInt(b.slice(at, at + 2), 16);
    return Math.round(from + (to - from) * part)
      .toString(16)
      .padStart(2, "0");
  };
  return `#${channel(1)}${channel(3)}${channel(5)}`;
}

function along(ramp, part) {
  const at = part * (ramp.length - 1);
  const i = Math.min(ramp.length - 2, Math.floor(at));
  return mix(ramp[i], ramp[i + 1], at - i);
}

export function theme() {
  const style = getComputedStyle(document.documentElement);
  const css = (name) => style.getPropertyValue(`--${name}`).trim();
  const dark = document.documentElement.dataset.theme === "dark";
  return {
    dark,
    text: css("text"),
    muted: css("muted"),
    line: css("line"),
    grid: css("grid"),
    card: css("card"),
    accent: css("accent"),
    font: style.fontFamily,
    heat: VIRIDIS,
    /** Colours for so many series; ordered ones for numbers. */
    series(count, ordered) {
      const list = dark ? QUALITATIVE.dark : QUALITATIVE.light;
      if (!ordered || count < 3) return Array.from({ length: count }, (_, i) => list[i % list.length]);
      const [from, to] = dark ? [0.42, 1] : [0.02, 0.72];
      return Array.from({ length: count }, (_, i) => along(VIRIDIS, from + ((to - from) * i) / (count - 1)));
    },
  };
}

/** Black or white, what reads better on a colour "#rrggbb". */
export function inkOn(colour) {
  const linear = (at) => {
    const c = parseInt(colour.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  };
  const luminance = 0.2126 * linear(1) + 0.7152 * linear(3) + 0.0722 * linear(5);
  return luminance > 0.179 ? "#111111" : "#ffffff";
}

export function heatColour(part) {
  return along(VIRIDIS, Math.max(0, Math.min(1, part)));
}
