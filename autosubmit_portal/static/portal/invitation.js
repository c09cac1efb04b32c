// Opens the invitation of a link. Its secret stands behind the #, which browsers send to nobody: the form does, once.

const form = document.getElementById("open-invitation");

function openInvitation() {
    const secret = location.hash.slice(1);
    if (!secret) return;
    history.replaceState(null, "", location.pathname);
    form.elements.link.value = secret;
    form.requestSubmit();
}

window.addEventListener("hashchange", openInvitation);
openInvitation();
