const test = require("node:test");
const assert = require("node:assert");
const { open } = require("./browser.js");

const PAGE = `<input data-zone-of-browser value="VALUE">
    <p id="browser-zone" hidden><button type="button">Use the zone of this browser: <span></span></button></p>`;
const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone;

function opened(value) {
    const { document } = open(PAGE.replace("VALUE", value), "preferences");
    return { field: document.querySelector("input"), offer: document.getElementById("browser-zone") };
}

test("the zone of the browser is offered and taken by a click", () => {
    const { field, offer } = opened("Mars/Olympus");
    assert.strictEqual(offer.hidden, false);
    assert.strictEqual(offer.querySelector("span").textContent, HERE);
    offer.querySelector("button").click();
    assert.strictEqual(field.value, HERE);
    assert.strictEqual(offer.hidden, true);
});

test("a zone that is chosen already is not offered", () => {
    assert.strictEqual(opened(HERE).offer.hidden, true);
});
