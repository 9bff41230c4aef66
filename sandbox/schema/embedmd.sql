-- What kubeflow/model-registry (RHOAI 2.23 and later) adds: the table of golang-migrate.

CREATE TABLE `schema_migrations` (
  `version` bigint NOT NULL,
  `dirty` tinyint(1) NOT NULL,
  PRIMARY KEY (`version`)
);
