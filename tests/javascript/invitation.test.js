const test = require("node:test");
const assert = require("node:assert");
const { open } = require("./browser.js");

const PAGE = `<form id="open-invitation"><input name="link"></form>`;

function opened(hash) {
    const sent = [];
    const { window } = open(PAGE, "invitation", (made) => {
        made.location.hash = hash;
        made.document.querySelector("form").addEventListener("submit", (event) => {
            event.preventDefault();
            sent.push(made.document.querySelector("input").value);
        });
    });
    return { window, sent };
}

test("the secret of a link is sent by the form and leaves the address", () => {
    const { window, sent } = opened("#s3cret-_");
    assert.deepStrictEqual(sent, ["s3cret-_"]);
    assert.strictEqual(window.location.href, "https://portal.example.org/experiments/");
});

test("an address without a secret sends nothing", () => {
    assert.deepStrictEqual(opened("").sent, []);
});

test("a link that is opened in the same tab is sent too", () => {
    const { window, sent } = opened("");
    window.history.replaceState(null, "", "#other");
    window.dispatchEvent(new window.Event("hashchange"));
    assert.deepStrictEqual(sent, ["other"]);
});
