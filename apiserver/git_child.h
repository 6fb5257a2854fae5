/* SPDX-License-Identifier: MPL-2.0
 *
 * git_child.h - the process that fetches a git repository: `apiserver --git-clone DIR URL REF`.
 */
#ifndef APISERVER_GIT_CHILD_H
#define APISERVER_GIT_CHILD_H

#define GIT_CHILD_OPTION "--git-clone"
#define GIT_CHILD_FD	 3 /* gets what went wrong, as text */

/* Before anything else in main. REF "": the remote's HEAD. Status 0: DIR, which was empty, has the
 * repository, checked out. */
int git_child_main(int argc, char **argv);

#endif
