// DesignDocuments
