# Distributed under the terms of the MIT License or the Apache License, Version 2.0

# @ECLASS: genpack-ignore.eclass
# @MAINTAINER:
# genpack
# @SUPPORTED_EAPIS: 8
# @BLURB: marks packages that serve the build alone
# @DESCRIPTION:
# A package that inherits this stays out of images, and so does what only it needs.
# The name in INHERITED is the mark.

case ${EAPI} in
	8) ;;
	*) die "${ECLASS}: EAPI ${EAPI:-0} not supported" ;;
esac
