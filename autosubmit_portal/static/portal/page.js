// Small manners of the pages: one submit per form, menus that close, copying, and no errors that are none.

document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-once]")) return;
    if (form.dataset.sent) {
        event.preventDefault();
        return;
    }
    form.dataset.sent = "yes";
    for (const button of form.querySelectorAll("[type=submit]")) {
        button.setAttribute("aria-busy", "true");
        setTimeout(() => { button.disabled = true; });
    }
});

// Good news leaves when it was read; what went wrong stays.
const leave = (news) => {
    setTimeout(() => { if (news.matches(":hover")) leave(news); else news.remove(); }, 12_000);
};
document.querySelectorAll(".messagelist .success").forEach(leave);
for (const news of document.querySelectorAll(".messagelist li")) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "dismiss", textContent: "×" });
    button.setAttribute("aria-label", say("Dismiss"));
    button.addEventListener("click", () => news.remove());
    news.append(button);
}

// Coming back with the back button finds a form that can be sent again.
window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("[data-sent]")) {
        delete form.dataset.sent;
        for (const button of form.querySelectorAll("[type=submit]")) {
            button.disabled = false;
            button.removeAttribute("aria-busy");
        }
    }
});

// A page that answered a form is remembered by its address alone: the back button never asks to send the form again.
if (document.querySelector("meta[name=answers-a-form]")) history.replaceState(null, "", location.href);

document.querySelector(".portal-nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// The title and the icon of a tab say what a live page counts.
document.addEventListener("portal:refreshed", () => {
    const { title, icon } = document.getElementById("page-state")?.dataset ?? {};
    if (!title) return;
    document.title = title;
    document.getElementById("page-icon")?.setAttribute("href", icon);
});

// A request is given up for a newer one, for the stop button, or because the page is left. htmx calls that an error, and
// writes what `error` names into the console.
document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    const { xhr } = detail;
    const finish = xhr.onabort;
    xhr.onabort = () => {
        detail.error = "";
        finish();
    };
});

const closeMenus = (except) => {
    for (const menu of document.querySelectorAll("details[data-menu][open]")) if (menu !== except) menu.open = false;
};

document.addEventListener("click", (event) => {
    closeMenus(event.target.closest("details[data-menu]"));
    const copied = event.target.closest("[data-copy]");
    if (!copied) return;
    navigator.clipboard?.writeText(document.querySelector(copied.dataset.copy).textContent.trim());
    const label = copied.textContent;
    copied.textContent = say("Copied");
    setTimeout(() => { copied.textContent = label; }, 1500);
});

document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
        const menu = document.activeElement?.closest("details[data-menu]");
        closeMenus();
        menu?.querySelector("summary").focus();
    }
});
