// Sends the forms of the API's pages: once however often one clicks, also what HTML cannot send (PATCH, JSON), and so
// that reloading the page sends nothing again.
"use strict";

async function send(form, button) {
  const { method, type } = form.dataset;
  const fields = type ? form.content.value : new URLSearchParams(new FormData(form));
  button.disabled = true;
  const answer = await fetch(form.getAttribute("action"), {
    method,
    headers: {
      Accept: "text/html",
      "Content-Type": type || "application/x-www-form-urlencoded",
      "X-CSRFToken": form.csrfmiddlewaretoken?.value ?? "",
    },
    body: method === "OPTIONS" ? undefined : fields,
  });
  if (answer.redirected) {
    location.assign(answer.url);
    return;
  }
  const page = await answer.text();
  document.open();
  document.write(page);
  document.close();
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.method) {
    event.preventDefault();
    const button = event.submitter;
    const tell = () => alert("There was no answer. Look whether it was done before you send it again.");
    send(form, button).catch(tell).finally(() => {
      button.disabled = false;
    });
  }
});
