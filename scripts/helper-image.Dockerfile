# Runs the Runner's own scripts: git and git-lfs come with the base, and the scripts call the helper as "gitlab-runner".
ARG BASE
FROM $BASE
COPY gitlab-runner-helper /usr/bin/gitlab-runner
