#!/bin/sh
case "$root" in systemimg:*) rootok=1 ;; esac
