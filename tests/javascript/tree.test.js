const test = require("node:test");
const assert = require("node:assert");
const { open, type } = require("./browser.js");

const leaf = (key, value) => `<div class="leaf"><span class="key">${key}</span><span class="value">${value}</span></div>`;
const branch = (key, inside) => `<details><summary><span class="key">${key}</span></summary>${inside}</details>`;
const BODY = `
    <input data-tree="tree"><span data-tree-found></span>
    <button data-tree-open="tree">Open</button><button data-tree-close="tree">Close</button>
    <div id="tree">
        ${branch("JOBS", branch("SIM", leaf("WALLCLOCK", "00:30")) + branch("POST", leaf("WALLCLOCK", "00:05")))}
        ${branch("DEFAULT", leaf("HPCARCH", "MareNostrum5"))}
    </div>`;

function opened(body = BODY) {
    const page = open(body, "tree");
    const find = (text) => type(page.document.querySelector("input"), text);
    const leaves = () => [...page.document.querySelectorAll(".leaf")].filter((one) => !one.hidden && !one.closest("[hidden]"));
    const shown = () => leaves().map((one) => one.querySelector(".value").textContent);
    const found = () => page.document.querySelector("[data-tree-found]").textContent;
    return { ...page, find, shown, found };
}

test("only what contains the text is shown, opened, and counted", () => {
    const { document, find, shown, found } = opened();
    find("marenostrum");
    assert.deepStrictEqual([shown(), found()], [["MareNostrum5"], "1 of 3"]);
    const [jobs, , , standard] = document.querySelectorAll("details");
    assert.deepStrictEqual([jobs.hidden, standard.hidden, standard.open], [true, false, true]);
});

test("a path of keys is found, and so are several words in any order", () => {
    const { find, shown } = opened();
    find("jobs.sim.wallclock");
    assert.deepStrictEqual(shown(), ["00:30"]);
    find("  00:05 POST ");
    assert.deepStrictEqual(shown(), ["00:05"]);
});

test("without a text all is there again and closed", () => {
    const { document, find, shown, found } = opened();
    find("post");
    find("");
    assert.deepStrictEqual([shown().length, found()], [3, ""]);
    assert.ok([...document.querySelectorAll("details")].every((one) => !one.open && !one.hidden));
});

test("what is nowhere is said to be found nowhere", () => {
    const { find, shown, found } = opened();
    find("nothing of the kind");
    assert.deepStrictEqual([shown(), found()], [[], "0 of 3"]);
});

test("buttons open and close the whole tree", () => {
    const { document } = opened();
    const branches = [...document.querySelectorAll("details")];
    document.querySelector("[data-tree-open]").click();
    assert.ok(branches.every((one) => one.open));
    document.querySelector("[data-tree-close]").click();
    assert.ok(branches.every((one) => !one.open));
});

test("a text that the browser has kept is looked for at once", () => {
    const { shown } = opened(BODY.replace("<input", `<input value="post"`));
    assert.deepStrictEqual(shown(), ["00:05"]);
});
