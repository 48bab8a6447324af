// The user's pages: their addresses, and which of them are for a picture and not for people.

// Returns the address of a page of the folder, relative to the server's; a name may have any character.
export function addressOf(path) {
  return `www/${path.split("/").map(encodeURIComponent).join("/")}`;
}

export const isOverlay = (path) => /overlay[^/]*$/i.test(path);
