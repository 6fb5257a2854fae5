# dockerinit/ holds two static programs: dockerinit (in the zone) and zoneadmd (the zone's parent).
