/* SPDX-License-Identifier: MPL-2.0
 *
 * names.c - names of containers: what one may look like, and made-up ones: an adjective and the
 * surname of somebody whom computing or science owes something.
 */
#include <string.h>

#include "apiserver/ct_json.h"
#include "cleanup.h"
#include "str.h"

static const char *const adjectives[] = {
	"able",	  "agile",   "alert",	 "amber",   "ample",   "ardent",  "arid",     "astute",
	"azure",  "balmy",   "blithe",	 "bold",    "brave",   "breezy",  "brief",    "bright",
	"brisk",  "calm",    "candid",	 "careful", "caring",  "cheery",  "civil",    "clear",
	"clever", "cosmic",  "crisp",	 "curious", "daring",  "deft",	  "devout",   "direct",
	"dreamy", "eager",   "early",	 "earnest", "easy",    "elated",  "epic",     "exact",
	"fair",	  "famous",  "fearless", "fervent", "festive", "firm",	  "fluent",   "fond",
	"frank",  "free",    "fresh",	 "frosty",  "frugal",  "genial",  "gentle",   "gifted",
	"glad",	  "golden",  "graceful", "grand",   "great",   "happy",	  "hardy",    "hearty",
	"honest", "hopeful", "humble",	 "ideal",   "jolly",   "jovial",  "keen",     "kind",
	"lively", "logical", "loyal",	 "lucid",   "lucky",   "mellow",  "merry",    "mighty",
	"mild",	  "modest",  "neat",	 "nimble",  "noble",   "patient", "peaceful", "placid",
	"plucky", "polite",  "prime",	 "proud",   "quick",   "quiet",	  "rapid",    "ready",
	"robust", "rustic",  "serene",	 "sharp",   "silent",  "sincere", "smart",    "snappy",
	"sober",  "solid",   "spry",	 "stable",  "steady",  "stellar", "sturdy",   "sunny",
	"swift",  "tender",  "tidy",	 "trusty",  "upbeat",  "valiant", "vivid",    "warm",
	"wise",	  "witty",   "zealous",	 "zesty",
};

static const char *const surnames[] = {
	"abel",	       "agnesi",      "ahlfors",      "alhazen",     "allen",	   "ampere",
	"antonelli",   "apgar",	      "archimedes",   "aristotle",   "arrhenius",  "ashby",
	"atiyah",      "avogadro",    "babbage",      "backus",	     "baran",	   "bardeen",
	"bartik",      "becquerel",   "bell",	      "berners",     "bernoulli",  "bessel",
	"bethe",       "birkhoff",    "bjerknes",     "bohr",	     "boltzmann",  "bolyai",
	"boole",       "borel",	      "borg",	      "born",	     "bose",	   "boyle",
	"brahe",       "brahmagupta", "brattain",     "brooks",	     "burnell",	   "bush",
	"byron",       "cannon",      "cantor",	      "cardano",     "carnot",	   "carson",
	"cauchy",      "cavendish",   "cayley",	      "celsius",     "cerf",	   "chandrasekhar",
	"chang",       "chatelet",    "chebyshev",    "chomsky",     "church",	   "clarke",
	"codd",	       "cohen",	      "compton",      "conway",	     "cook",	   "copernicus",
	"coulomb",     "cox",	      "cray",	      "crick",	     "curie",	   "dahl",
	"dalton",      "darwin",      "davy",	      "dedekind",    "descartes",  "dijkstra",
	"dirac",       "dyson",	      "easley",	      "eckert",	     "edison",	   "ehrenfest",
	"einstein",    "engelbart",   "eratosthenes", "erdos",	     "euclid",	   "euler",
	"fahrenheit",  "faraday",     "fermat",	      "fermi",	     "feynman",	   "fibonacci",
	"flowers",     "fourier",     "franklin",     "fresnel",     "gabor",	   "galileo",
	"galois",      "galton",      "gauss",	      "germain",     "gibbs",	   "goddard",
	"godel",       "goldberg",    "goldstine",    "golgi",	     "goodall",	   "gosling",
	"gray",	       "hadamard",    "haibt",	      "halley",	     "hamilton",   "hamming",
	"hardy",       "hawking",     "heaviside",    "heisenberg",  "henry",	   "hermite",
	"hero",	       "herschel",    "hertz",	      "hilbert",     "hoare",	   "hodgkin",
	"holberton",   "hollerith",   "hooke",	      "hopcroft",    "hopper",	   "hubble",
	"huffman",     "huygens",     "hypatia",      "ibnsina",     "iverson",	   "jacobi",
	"jacquard",    "jang",	      "jenner",	      "jennings",    "johnson",	   "joliot",
	"joule",       "kahn",	      "karp",	      "kay",	     "keller",	   "kelvin",
	"kepler",      "kernighan",   "khwarizmi",    "kilby",	     "kirchhoff",  "kleene",
	"knuth",       "kolmogorov",  "kovalevskaya", "lagrange",    "lamarr",	   "lamport",
	"laplace",     "lavoisier",   "lawrence",     "leavitt",     "lebesgue",   "leibniz",
	"levi",	       "lichterman",  "licklider",    "linnaeus",    "liskov",	   "lorentz",
	"lovelace",    "lyapunov",    "mach",	      "markov",	     "maxwell",	   "mayer",
	"mccarthy",    "mclean",      "meitner",      "meltzer",     "mendel",	   "mendeleev",
	"milner",      "minkowski",   "minsky",	      "mirzakhani",  "morse",	   "napier",
	"nash",	       "naur",	      "neumann",      "newell",	     "newton",	   "nightingale",
	"nobel",       "noether",     "noyce",	      "nygaard",     "oersted",	   "ohm",
	"oppenheimer", "pascal",      "pasteur",      "pauli",	     "pauling",	   "pavlov",
	"payne",       "peano",	      "perlis",	      "perlman",     "planck",	   "poincare",
	"poisson",     "ptolemy",     "pythagoras",   "rabin",	     "raman",	   "ramanujan",
	"ride",	       "riemann",     "ritchie",      "rivest",	     "robinson",   "roentgen",
	"rosalind",    "rubin",	      "russell",      "rutherford",  "sagan",	   "sammet",
	"scherbius",   "schrodinger", "scott",	      "shamir",	     "shannon",	   "shaw",
	"shockley",    "simon",	      "sinoussi",     "snyder",	     "somerville", "spence",
	"stallman",    "steele",      "stokes",	      "stonebraker", "strachey",   "sutherland",
	"swartz",      "swirles",     "tarjan",	      "tarski",	     "taussig",	   "tesla",
	"thales",      "thompson",    "torvalds",     "tu",	     "turing",	   "ullman",
	"vaughan",     "villani",     "volta",	      "wallace",     "watson",	   "weierstrass",
	"weil",	       "wiener",      "wiles",	      "wilkes",	     "wilkinson",  "wilson",
	"wing",	       "wirth",	      "wozniak",      "wright",	     "wu",	   "yalow",
	"yonath",      "zhukovsky",   "zuse",
};

/* By rejection, so that every word is as likely as any other. */
static size_t random_below(size_t n)
{
	uint32_t limit = UINT32_MAX - UINT32_MAX % (uint32_t)n;
	uint32_t r;

	do {
		random_bytes(&r, sizeof(r));
	} while (r >= limit);
	return r % n;
}

char *ct_random_name(unsigned attempt)
{
	const char *adjective = adjectives[random_below(ARRAY_SIZE(adjectives))];
	const char *surname = surnames[random_below(ARRAY_SIZE(surnames))];

	if (attempt == 0)
		return xasprintf("%s_%s", adjective, surname);
	return xasprintf("%s_%s%zu", adjective, surname, random_below(10));
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

int ct_check_name(const char *name, struct err *err)
{
	const char *bare = name[0] == '/' ? name + 1 : name;
	bool ok = is_alnum(bare[0]) && bare[1] != '\0';

	for (const char *c = bare; ok && *c; c++)
		ok = is_alnum(*c) || strchr("_.-", *c);
	if (!ok)
		return err_kind(
			err, ERR_BAD_PARAM,
			"Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
			name);
	return 0;
}
