/** What is wrong with a version of Node, if anything. @param {string} version */
export function versionProblem(version) {
  return parseInt(version, 10) < 20 ? `Node ${version} is too old for pipeline-source: it needs Node 20 or newer` : undefined;
}
