// Pause and resume. The token stays in this page until it is closed; it is sent in a header, never in a cookie.

export function setUpControls({ pause, resume, bar, dialog, token, tell, changed }) {
  let secret = null;

  function ask() {
    return new Promise((resolve) => {
      token.value = "";
      dialog.returnValue = "";
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "use" ? token.value : null), { once: true });
      dialog.showModal();
    });
  }

  async function send(method, path, body) {
    secret ??= await ask();
    if (!secret) return;
    const headers = { Authorization: `Bearer ${secret}`, "Content-Type": "application/json" };
    try {
      const response = await fetch(`api/v1/${path}`, { method, headers, body, signal: AbortSignal.timeout(20000) });
      if (response.status === 401) secret = null;
      if (!response.ok) throw new Error((await response.json()).error.message);
      tell(method === "POST" ? "All transfers are paused." : "Transfers are resumed.");
    } catch (error) {
      tell(`This did not work: ${error.message}`);
    }
    changed();
  }

  pause.addEventListener("click", () => send("POST", "pauses", '{"kind": "all"}'));
  resume.addEventListener("click", () => send("DELETE", "pauses/all"));

  return {
    offer(status) {
      const paused = status.pauses.some((each) => each.kind === "all" && each.source === "person");
      bar.hidden = !status.controls;
      pause.disabled = paused;
      resume.disabled = !paused;
    },
  };
}
