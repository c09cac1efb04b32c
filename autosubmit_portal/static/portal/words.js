// What scripts say, in the language of the page: the template has the words that are not English ones.

const shown = document.getElementById("words");
const words = shown ? JSON.parse(shown.textContent) : {};

/** Returns a text in the language of the page, with `values` in the places of their names. */
globalThis.say = (text, values = {}) => (words[text] ?? text).replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);

/** Returns a number with its thousands apart, as the portal writes it in the language of the page. */
globalThis.writeNumber = (number) => number.toLocaleString(document.documentElement.lang || "en", { useGrouping: "always" });
