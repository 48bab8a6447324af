// Files that are dropped on an element, which has the class "dropping" while they are above it.

export function takeDrops(root, onFiles) {
  const mark = (isOver) => root.classList.toggle("dropping", isOver);
  const listen = (name, act) => root.addEventListener(name, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault(); // otherwise the browser would open the file
    act(event);
  });
  listen("dragover", () => mark(true));
  listen("dragleave", ({ relatedTarget }) => mark(root.contains(relatedTarget)));
  listen("drop", ({ dataTransfer }) => {
    mark(false);
    onFiles([...dataTransfer.files]);
  });
}
