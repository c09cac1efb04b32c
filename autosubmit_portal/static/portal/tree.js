// A tree of nested <details>: opens and closes as a whole, and shows only what contains a text that is looked for.

const leavesOf = (tree) => [...tree.querySelectorAll(".leaf")];
const branchesOf = (tree) => [...tree.querySelectorAll("details")];

const setAll = (tree, open) => { for (const branch of branchesOf(tree)) branch.open = open; };

/** The keys on the way to a node, and its own text, in lower case. */
function textOf(leaf) {
    const keys = [];
    for (let node = leaf.parentElement.closest("details"); node; node = node.parentElement.closest("details")) {
        keys.unshift(node.querySelector("summary .key").textContent);
    }
    const key = leaf.querySelector(".key").textContent;
    return `${[...keys, key].join(".")} ${leaf.querySelector(".value").textContent}`.toLowerCase();
}

function find(tree, wanted, found) {
    const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
    const leaves = leavesOf(tree);
    for (const leaf of leaves) {
        leaf.text ??= textOf(leaf);
        leaf.hidden = !words.every((word) => leaf.text.includes(word));
    }
    for (const branch of branchesOf(tree)) {
        branch.hidden = words.length > 0 && !branch.querySelector(".leaf:not([hidden])");
        branch.open = words.length > 0 && !branch.hidden;
    }
    const shown = leaves.filter((leaf) => !leaf.hidden).length;
    found.textContent = words.length ? say("{shown} of {all}", { shown, all: leaves.length }) : "";
}

for (const input of document.querySelectorAll("input[data-tree]")) {
    const tree = document.getElementById(input.dataset.tree);
    const found = document.querySelector("[data-tree-found]");
    input.addEventListener("input", () => find(tree, input.value, found));
    if (input.value) find(tree, input.value, found); // what the browser remembers
}

document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-tree-open], [data-tree-close]");
    if (!button) return;
    const { treeOpen, treeClose } = button.dataset;
    setAll(document.getElementById(treeOpen ?? treeClose), treeOpen !== undefined);
});
