/* SPDX-License-Identifier: MPL-2.0
 *
 * warm.c - keeps free memory of a virtual machine backed by its host, while it runs.
 *
 *	warm MIB	(prints READY, then waits to be killed)
 *
 * A guest with free page reporting gives its host each free block of 2 MiB within seconds; whoever takes a page of it next waits for
 * the host. A log whose files stay then seems slower to write than one whose files go and are used again, and the first engine in
 * a round slower than the second. One page held in each block keeps the rest of it where it is: free, and backed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCK (2ul << 20)
#define PAGE  4096ul

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) / 2 * BLOCK : 0;
	char *p = n ? mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) : MAP_FAILED;

	if (p == MAP_FAILED)
		return 1;
	(void)madvise(p, n, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < n; i += PAGE)
		p[i] = 1;
	for (size_t i = 0; i < n; i += BLOCK)
		(void)madvise(p + i + PAGE, BLOCK - PAGE, MADV_DONTNEED);
	puts("READY");
	(void)fflush(stdout);
	(void)pause();
	return 0;
}
